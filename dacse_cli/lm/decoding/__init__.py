"""A planned batch of prompts -> ids, on any device.

greedy    prefill, then one step per token
choice    the allowed range of ids at a position
backends  which ways of decoding this machine has, best first
"""
