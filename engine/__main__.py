"""`python -m engine`: a self-hosted digital human cloud until SIGTERM or SIGINT."""

from engine.light_start import start_light

if __name__ == "__main__":
    start_light()
    from engine.process import main

    main()
