"""The live page and what stands behind it: read only, shared polls, everything bounded."""
