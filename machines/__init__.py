"""Charts and pure functions: (state, event) in, (state, response, effects) out. No IO here."""
