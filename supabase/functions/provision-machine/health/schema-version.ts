/** The newest migration that this code was written for; `read_health` tells what the database has. */
export const EXPECTED_SCHEMA_VERSION = "20261126000100";
