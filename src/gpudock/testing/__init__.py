"""Shipped stand-ins for what a laptop, a CI machine or a test does not have."""
