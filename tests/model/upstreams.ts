/** What the function is configured to call, beside the database. */
export const FLY_APPS = ["model-app", "second-app"] as const;
/** Where the simulator puts the apps that exist from the start. */
export const ORGANIZATION = "personal";
export const REGIONS = ["iad", "lhr", "nrt"];
/** Anyone who knows it can post to the channel. */
export const WEBHOOK_URL = "https://hooks.example.com/services/canary-webhook-0123456789";
