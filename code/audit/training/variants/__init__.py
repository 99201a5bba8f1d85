"""Training that differs from the plain one."""
