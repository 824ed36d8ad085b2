"""What the processes of a run say to each other, and how an input can end. Imports no torch.

messages      between the supervisor and its processes
coding        dataclasses <-> JSON
process       child processes and their lines of JSON
model_plan    which parts a worker loads
events        events of a run, for the display
outcome       how an input can end, and a run's summary
failures      errors as facts;  guard_report: the guard's decisions as facts
"""
