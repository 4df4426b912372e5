"""Who uses which GPU: one collector, one frozen Sample at a time, and every surface shows that Sample."""
