"""A PKCS#11 module in a process of its own: a software module's keys are never in the memory of who serves callers."""
