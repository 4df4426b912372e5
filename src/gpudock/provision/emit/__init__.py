"""Plans as files for other machines."""
