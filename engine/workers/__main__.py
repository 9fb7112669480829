"""`python -m engine.workers FD`: one worker, connected to its front by the socket FD."""

from engine.light_start import start_light

if __name__ == "__main__":
    start_light()
    from engine.workers.process import main

    main()
