"""Install plans: what a machine needs, as steps that check, apply and undo themselves."""
