"""Services that move money: each writes its audit entry in the same database transaction."""
