"""What a run consists of: processes, where they listen, and the environment that they share."""
