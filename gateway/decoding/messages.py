"""The messages between the gateway and the process that decodes."""

import struct

RECORDING, STREAM = b"R", b"S"
"""What a child is to decode: a recording, or a live stream."""

TAKEN = b"T"
"""What a child says first. Without it a job has been lost, whatever it holds."""

LENGTH = struct.Struct(">I")
"""Before a piece of a live stream: its bytes."""

ANSWER = struct.Struct(">cI")
"""Before each answer to a piece: its kind, and the bytes of its content."""

PCM, DONE, REFUSED = b"P", b"D", b"R"
"""The kinds: some sound, the end of the piece's sound, and the members of a refusal as JSON."""
