/** The lives that are lived with every test run. */
export const SEED = 20_261_129;
/** Of 500. */
export const HALF = 250;
