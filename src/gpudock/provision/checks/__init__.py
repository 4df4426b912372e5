"""What can be wrong with a machine: pure functions of its snapshot, and the words for people."""
