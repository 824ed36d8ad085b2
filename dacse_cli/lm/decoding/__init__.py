"""How a planned batch of prompts becomes ids, on any device."""
