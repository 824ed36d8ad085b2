"""What the processes of a run say to each other and what they say of an input's end. Imports no torch."""
