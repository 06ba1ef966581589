/* What the simulation knows, for the page: a test compares each list with the table in Python that it comes from. */
export const KINDS = ['scout', 'climber', 'overseer', 'tanker-mule', 'tanker-lifeline', 'quadcopter', 'hexacopter', 'ornithopter'];
export const WEATHERS = ['calm', 'light', 'breeze', 'fresh', 'strong', 'storm'];
