"""The modules that run as processes of their own. No module imports them."""
