"""What Descript's own package makes: weights files (`.pth`) and containers of codes (`.dac`)."""
