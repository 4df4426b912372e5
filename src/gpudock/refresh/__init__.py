"""Compiles the machine into what container start reads: driver tree, start plan, CDI specification, root-owned code."""
