"""Object stores as places: Amazon S3 and what speaks its protocol, Google's, Azure's.

obstore does the talking; it is imported when a store is spoken to, not before.
"""
