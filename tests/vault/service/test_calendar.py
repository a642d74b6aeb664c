"""The calendar: what it says is what the scheduler then does; what is wrong with the year ahead; who may see it."""
