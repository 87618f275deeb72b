"""Work that is spread over several processes: one a device, on this machine or on several."""
