"""A real model behind llama.cpp's own server: what it says to Chorus, and how it says it.

Not among the tests that run by default, since it takes 130 MB of packages and some minutes: `make
test-model`. The model has 135 million parameters. It shows whether the two servers understand each
other; its answers are no good, and are judged by nothing but their form.
"""
