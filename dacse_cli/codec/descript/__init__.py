"""The files of Descript's own package: `weights` (`.pth`), and the `container` of codes (`.dac`)."""
