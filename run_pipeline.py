"""Entry point of a checkout: `python run_pipeline.py COMMAND` is the command `textmill COMMAND`."""

from pipelines.cli import main

if __name__ == "__main__":
    main()
