"""`gpudock verify`: a container of this machine's own Python, in which every GPU computes."""
