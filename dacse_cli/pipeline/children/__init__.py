"""The modules that run as processes of their own. No module imports them.

decoder  reads inputs before a model gets them
model    owns the models and runs tasks
"""
