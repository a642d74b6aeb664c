"""Where keys are made and used: PKCS#11 modules and software, behind one protocol."""
