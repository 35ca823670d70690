"""The programs: a module each, all of them called through `facerec.process.run`."""
