"""The bytes of commits and snapshots: encoding, versions, compression, encryption."""
