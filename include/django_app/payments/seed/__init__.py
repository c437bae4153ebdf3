"""Demo data: the same arguments give the same rows, and the audit trail of it verifies."""
