/* One object for all the driver files that only need to be there. */
__attribute__((used, visibility("default"))) const char gpudock_simulated[] =
    "SIMULATED by gpudock: this file stands for one of NVIDIA's and does nothing.";
