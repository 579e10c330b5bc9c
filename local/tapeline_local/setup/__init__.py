"""`make setup`: Java, jars, Node.js, the board's page, schemas."""
