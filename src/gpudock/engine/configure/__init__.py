"""Configuration of container engines: each change is a value that can be shown, made and taken back."""
