"""The two stores: the SQL journal, which is the truth, and the vector memory that follows it."""
