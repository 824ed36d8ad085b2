"""`python -m dacse_cli` is `dacse`."""

from dacse_cli.cli.app import main

if __name__ == "__main__":
    main()
