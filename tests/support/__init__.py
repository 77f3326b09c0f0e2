"""What tests of several folders use: clients, servers, fakes and values. Nothing here is a test."""
