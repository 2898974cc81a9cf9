/** Written by `deno task openapi`: the API as OpenAPI 3.1. */
export const OPENAPI: Record<string, unknown> = {
  "openapi": "3.1.1",
  "info": {
    "title": "provision-machine",
    "version": "1",
    "description": "Gives a signed-in user a machine at Fly.io. Any other path answers 404 `not_found`, any other method 405 `method_not_allowed`."
  },
  "servers": [
    {
      "url": "https://{projectRef}.supabase.co/functions/v1",
      "variables": {
        "projectRef": {
          "default": "project-ref"
        }
      }
    }
  ],
  "paths": {
    "/provision-machine": {
      "post": {
        "summary": "Provision a machine",
        "security": [
          {
            "user": []
          },
          {
            "service": []
          }
        ],
        "parameters": [
          {
            "$ref": "#/components/parameters/Idempotency-Key"
          },
          {
            "$ref": "#/components/parameters/Prefer"
          },
          {
            "$ref": "#/components/parameters/x-request-id"
          },
          {
            "$ref": "#/components/parameters/traceparent"
          }
        ],
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/ProvisionRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "The machine runs, or what it is now",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "idempotency-replayed": {
                "$ref": "#/components/headers/idempotency-replayed"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/Machine"
                }
              }
            }
          },
          "202": {
            "description": "It is being provisioned (Prefer: respond-async)",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "idempotency-replayed": {
                "$ref": "#/components/headers/idempotency-replayed"
              },
              "preference-applied": {
                "$ref": "#/components/headers/preference-applied"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/PendingMachine"
                }
              }
            }
          },
          "400": {
            "description": "invalid_request",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "idempotency-replayed": {
                "$ref": "#/components/headers/idempotency-replayed"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/invalid_request"
                }
              }
            }
          },
          "401": {
            "description": "unauthorized",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "idempotency-replayed": {
                "$ref": "#/components/headers/idempotency-replayed"
              },
              "www-authenticate": {
                "$ref": "#/components/headers/www-authenticate"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/unauthorized"
                }
              }
            }
          },
          "403": {
            "description": "forbidden",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "idempotency-replayed": {
                "$ref": "#/components/headers/idempotency-replayed"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/forbidden"
                }
              }
            }
          },
          "409": {
            "description": "machine_limit_reached, machine_state_conflict",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "idempotency-replayed": {
                "$ref": "#/components/headers/idempotency-replayed"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "oneOf": [
                    {
                      "$ref": "#/components/schemas/machine_limit_reached"
                    },
                    {
                      "$ref": "#/components/schemas/machine_state_conflict"
                    }
                  ],
                  "discriminator": {
                    "propertyName": "code"
                  }
                }
              }
            }
          },
          "413": {
            "description": "payload_too_large",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "idempotency-replayed": {
                "$ref": "#/components/headers/idempotency-replayed"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/payload_too_large"
                }
              }
            }
          },
          "415": {
            "description": "unsupported_media_type",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "idempotency-replayed": {
                "$ref": "#/components/headers/idempotency-replayed"
              },
              "accept": {
                "$ref": "#/components/headers/accept"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/unsupported_media_type"
                }
              }
            }
          },
          "422": {
            "description": "idempotency_key_reused",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "idempotency-replayed": {
                "$ref": "#/components/headers/idempotency-replayed"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/idempotency_key_reused"
                }
              }
            }
          },
          "429": {
            "description": "too_many_requests",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "idempotency-replayed": {
                "$ref": "#/components/headers/idempotency-replayed"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/too_many_requests"
                }
              }
            }
          },
          "500": {
            "description": "configuration_error, database_error, fly_unauthorized, fly_rate_limited, fly_capacity, fly_account_limit, fly_rejected, fly_unavailable, fly_invalid_response, machine_failed, provision_timeout, internal_error",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "idempotency-replayed": {
                "$ref": "#/components/headers/idempotency-replayed"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "oneOf": [
                    {
                      "$ref": "#/components/schemas/configuration_error"
                    },
                    {
                      "$ref": "#/components/schemas/database_error"
                    },
                    {
                      "$ref": "#/components/schemas/fly_unauthorized"
                    },
                    {
                      "$ref": "#/components/schemas/fly_rate_limited"
                    },
                    {
                      "$ref": "#/components/schemas/fly_capacity"
                    },
                    {
                      "$ref": "#/components/schemas/fly_account_limit"
                    },
                    {
                      "$ref": "#/components/schemas/fly_rejected"
                    },
                    {
                      "$ref": "#/components/schemas/fly_unavailable"
                    },
                    {
                      "$ref": "#/components/schemas/fly_invalid_response"
                    },
                    {
                      "$ref": "#/components/schemas/machine_failed"
                    },
                    {
                      "$ref": "#/components/schemas/provision_timeout"
                    },
                    {
                      "$ref": "#/components/schemas/internal_error"
                    }
                  ],
                  "discriminator": {
                    "propertyName": "code"
                  }
                }
              }
            }
          },
          "503": {
            "description": "fleet_full, provisioning_paused",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "idempotency-replayed": {
                "$ref": "#/components/headers/idempotency-replayed"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "oneOf": [
                    {
                      "$ref": "#/components/schemas/fleet_full"
                    },
                    {
                      "$ref": "#/components/schemas/provisioning_paused"
                    }
                  ],
                  "discriminator": {
                    "propertyName": "code"
                  }
                }
              }
            }
          }
        }
      }
    },
    "/provision-machine/{machineId}": {
      "delete": {
        "summary": "Destroy a machine; may be repeated",
        "security": [
          {
            "user": []
          },
          {
            "service": []
          }
        ],
        "parameters": [
          {
            "name": "machineId",
            "in": "path",
            "required": true,
            "schema": {
              "type": "string"
            }
          },
          {
            "$ref": "#/components/parameters/x-request-id"
          },
          {
            "$ref": "#/components/parameters/traceparent"
          }
        ],
        "responses": {
          "200": {
            "description": "The machine is gone",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/DestroyedMachine"
                }
              }
            }
          },
          "401": {
            "description": "unauthorized",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "www-authenticate": {
                "$ref": "#/components/headers/www-authenticate"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/unauthorized"
                }
              }
            }
          },
          "403": {
            "description": "forbidden",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/forbidden"
                }
              }
            }
          },
          "404": {
            "description": "not_found",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/not_found"
                }
              }
            }
          },
          "500": {
            "description": "configuration_error, database_error, internal_error, fly_unauthorized, fly_rate_limited, fly_capacity, fly_account_limit, fly_rejected, fly_unavailable, fly_invalid_response, provision_timeout",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "oneOf": [
                    {
                      "$ref": "#/components/schemas/configuration_error"
                    },
                    {
                      "$ref": "#/components/schemas/database_error"
                    },
                    {
                      "$ref": "#/components/schemas/internal_error"
                    },
                    {
                      "$ref": "#/components/schemas/fly_unauthorized"
                    },
                    {
                      "$ref": "#/components/schemas/fly_rate_limited"
                    },
                    {
                      "$ref": "#/components/schemas/fly_capacity"
                    },
                    {
                      "$ref": "#/components/schemas/fly_account_limit"
                    },
                    {
                      "$ref": "#/components/schemas/fly_rejected"
                    },
                    {
                      "$ref": "#/components/schemas/fly_unavailable"
                    },
                    {
                      "$ref": "#/components/schemas/fly_invalid_response"
                    },
                    {
                      "$ref": "#/components/schemas/provision_timeout"
                    }
                  ],
                  "discriminator": {
                    "propertyName": "code"
                  }
                }
              }
            }
          }
        }
      }
    },
    "/provision-machine/{machineId}/start": {
      "post": {
        "summary": "Start a machine; may be repeated",
        "security": [
          {
            "user": []
          },
          {
            "service": []
          }
        ],
        "parameters": [
          {
            "name": "machineId",
            "in": "path",
            "required": true,
            "schema": {
              "type": "string"
            }
          },
          {
            "$ref": "#/components/parameters/x-request-id"
          },
          {
            "$ref": "#/components/parameters/traceparent"
          }
        ],
        "responses": {
          "200": {
            "description": "The machine is in this state",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/Machine"
                }
              }
            }
          },
          "401": {
            "description": "unauthorized",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "www-authenticate": {
                "$ref": "#/components/headers/www-authenticate"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/unauthorized"
                }
              }
            }
          },
          "403": {
            "description": "forbidden",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/forbidden"
                }
              }
            }
          },
          "404": {
            "description": "not_found",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/not_found"
                }
              }
            }
          },
          "409": {
            "description": "machine_state_conflict",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/machine_state_conflict"
                }
              }
            }
          },
          "500": {
            "description": "configuration_error, database_error, internal_error, fly_unauthorized, fly_rate_limited, fly_capacity, fly_account_limit, fly_rejected, fly_unavailable, fly_invalid_response, machine_failed, provision_timeout",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "oneOf": [
                    {
                      "$ref": "#/components/schemas/configuration_error"
                    },
                    {
                      "$ref": "#/components/schemas/database_error"
                    },
                    {
                      "$ref": "#/components/schemas/internal_error"
                    },
                    {
                      "$ref": "#/components/schemas/fly_unauthorized"
                    },
                    {
                      "$ref": "#/components/schemas/fly_rate_limited"
                    },
                    {
                      "$ref": "#/components/schemas/fly_capacity"
                    },
                    {
                      "$ref": "#/components/schemas/fly_account_limit"
                    },
                    {
                      "$ref": "#/components/schemas/fly_rejected"
                    },
                    {
                      "$ref": "#/components/schemas/fly_unavailable"
                    },
                    {
                      "$ref": "#/components/schemas/fly_invalid_response"
                    },
                    {
                      "$ref": "#/components/schemas/machine_failed"
                    },
                    {
                      "$ref": "#/components/schemas/provision_timeout"
                    }
                  ],
                  "discriminator": {
                    "propertyName": "code"
                  }
                }
              }
            }
          }
        }
      }
    },
    "/provision-machine/{machineId}/stop": {
      "post": {
        "summary": "Stop a machine; may be repeated",
        "security": [
          {
            "user": []
          },
          {
            "service": []
          }
        ],
        "parameters": [
          {
            "name": "machineId",
            "in": "path",
            "required": true,
            "schema": {
              "type": "string"
            }
          },
          {
            "$ref": "#/components/parameters/x-request-id"
          },
          {
            "$ref": "#/components/parameters/traceparent"
          }
        ],
        "responses": {
          "200": {
            "description": "The machine is in this state",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/Machine"
                }
              }
            }
          },
          "401": {
            "description": "unauthorized",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "www-authenticate": {
                "$ref": "#/components/headers/www-authenticate"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/unauthorized"
                }
              }
            }
          },
          "403": {
            "description": "forbidden",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/forbidden"
                }
              }
            }
          },
          "404": {
            "description": "not_found",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/not_found"
                }
              }
            }
          },
          "409": {
            "description": "machine_state_conflict",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/machine_state_conflict"
                }
              }
            }
          },
          "500": {
            "description": "configuration_error, database_error, internal_error, fly_unauthorized, fly_rate_limited, fly_capacity, fly_account_limit, fly_rejected, fly_unavailable, fly_invalid_response, machine_failed, provision_timeout",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "oneOf": [
                    {
                      "$ref": "#/components/schemas/configuration_error"
                    },
                    {
                      "$ref": "#/components/schemas/database_error"
                    },
                    {
                      "$ref": "#/components/schemas/internal_error"
                    },
                    {
                      "$ref": "#/components/schemas/fly_unauthorized"
                    },
                    {
                      "$ref": "#/components/schemas/fly_rate_limited"
                    },
                    {
                      "$ref": "#/components/schemas/fly_capacity"
                    },
                    {
                      "$ref": "#/components/schemas/fly_account_limit"
                    },
                    {
                      "$ref": "#/components/schemas/fly_rejected"
                    },
                    {
                      "$ref": "#/components/schemas/fly_unavailable"
                    },
                    {
                      "$ref": "#/components/schemas/fly_invalid_response"
                    },
                    {
                      "$ref": "#/components/schemas/machine_failed"
                    },
                    {
                      "$ref": "#/components/schemas/provision_timeout"
                    }
                  ],
                  "discriminator": {
                    "propertyName": "code"
                  }
                }
              }
            }
          }
        }
      }
    },
    "/provision-machine/{machineId}/suspend": {
      "post": {
        "summary": "Suspend a machine; may be repeated",
        "security": [
          {
            "user": []
          },
          {
            "service": []
          }
        ],
        "parameters": [
          {
            "name": "machineId",
            "in": "path",
            "required": true,
            "schema": {
              "type": "string"
            }
          },
          {
            "$ref": "#/components/parameters/x-request-id"
          },
          {
            "$ref": "#/components/parameters/traceparent"
          }
        ],
        "responses": {
          "200": {
            "description": "The machine is in this state",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/Machine"
                }
              }
            }
          },
          "401": {
            "description": "unauthorized",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "www-authenticate": {
                "$ref": "#/components/headers/www-authenticate"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/unauthorized"
                }
              }
            }
          },
          "403": {
            "description": "forbidden",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/forbidden"
                }
              }
            }
          },
          "404": {
            "description": "not_found",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/not_found"
                }
              }
            }
          },
          "409": {
            "description": "machine_state_conflict",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/machine_state_conflict"
                }
              }
            }
          },
          "500": {
            "description": "configuration_error, database_error, internal_error, fly_unauthorized, fly_rate_limited, fly_capacity, fly_account_limit, fly_rejected, fly_unavailable, fly_invalid_response, machine_failed, provision_timeout",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "oneOf": [
                    {
                      "$ref": "#/components/schemas/configuration_error"
                    },
                    {
                      "$ref": "#/components/schemas/database_error"
                    },
                    {
                      "$ref": "#/components/schemas/internal_error"
                    },
                    {
                      "$ref": "#/components/schemas/fly_unauthorized"
                    },
                    {
                      "$ref": "#/components/schemas/fly_rate_limited"
                    },
                    {
                      "$ref": "#/components/schemas/fly_capacity"
                    },
                    {
                      "$ref": "#/components/schemas/fly_account_limit"
                    },
                    {
                      "$ref": "#/components/schemas/fly_rejected"
                    },
                    {
                      "$ref": "#/components/schemas/fly_unavailable"
                    },
                    {
                      "$ref": "#/components/schemas/fly_invalid_response"
                    },
                    {
                      "$ref": "#/components/schemas/machine_failed"
                    },
                    {
                      "$ref": "#/components/schemas/provision_timeout"
                    }
                  ],
                  "discriminator": {
                    "propertyName": "code"
                  }
                }
              }
            }
          }
        }
      }
    },
    "/provision-machine/{machineId}/connect": {
      "post": {
        "summary": "Get a machine's address and a token for it, valid for a minute",
        "security": [
          {
            "user": []
          },
          {
            "service": []
          }
        ],
        "parameters": [
          {
            "name": "machineId",
            "in": "path",
            "required": true,
            "schema": {
              "type": "string"
            }
          },
          {
            "$ref": "#/components/parameters/x-request-id"
          },
          {
            "$ref": "#/components/parameters/traceparent"
          }
        ],
        "responses": {
          "200": {
            "description": "Where to connect",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "cache-control": {
                "$ref": "#/components/headers/cache-control"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/Connection"
                }
              }
            }
          },
          "401": {
            "description": "unauthorized",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "www-authenticate": {
                "$ref": "#/components/headers/www-authenticate"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/unauthorized"
                }
              }
            }
          },
          "403": {
            "description": "forbidden",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/forbidden"
                }
              }
            }
          },
          "404": {
            "description": "not_found",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/not_found"
                }
              }
            }
          },
          "409": {
            "description": "machine_state_conflict",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/machine_state_conflict"
                }
              }
            }
          },
          "500": {
            "description": "configuration_error, database_error, internal_error",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "oneOf": [
                    {
                      "$ref": "#/components/schemas/configuration_error"
                    },
                    {
                      "$ref": "#/components/schemas/database_error"
                    },
                    {
                      "$ref": "#/components/schemas/internal_error"
                    }
                  ],
                  "discriminator": {
                    "propertyName": "code"
                  }
                }
              }
            }
          }
        }
      }
    },
    "/provision-machine/health": {
      "get": {
        "summary": "Whether all is well; a service sees every check",
        "security": [],
        "parameters": [
          {
            "$ref": "#/components/parameters/x-request-id"
          },
          {
            "$ref": "#/components/parameters/traceparent"
          }
        ],
        "responses": {
          "200": {
            "description": "pass or warn",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "cache-control": {
                "$ref": "#/components/headers/cache-control"
              }
            },
            "content": {
              "application/health+json": {
                "schema": {
                  "$ref": "#/components/schemas/Health"
                }
              }
            }
          },
          "500": {
            "description": "internal_error",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/internal_error"
                }
              }
            }
          },
          "503": {
            "description": "fail",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "cache-control": {
                "$ref": "#/components/headers/cache-control"
              }
            },
            "content": {
              "application/health+json": {
                "schema": {
                  "$ref": "#/components/schemas/Health"
                }
              }
            }
          }
        }
      }
    },
    "/provision-machine/openapi.json": {
      "get": {
        "summary": "This document",
        "security": [],
        "parameters": [
          {
            "$ref": "#/components/parameters/x-request-id"
          },
          {
            "$ref": "#/components/parameters/traceparent"
          }
        ],
        "responses": {
          "200": {
            "description": "OpenAPI 3.1",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/OpenApi"
                }
              }
            }
          },
          "500": {
            "description": "internal_error",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/internal_error"
                }
              }
            }
          }
        }
      }
    },
    "/provision-machine/metrics": {
      "get": {
        "summary": "Metrics for Prometheus",
        "security": [
          {
            "service": []
          }
        ],
        "parameters": [
          {
            "$ref": "#/components/parameters/x-request-id"
          },
          {
            "$ref": "#/components/parameters/traceparent"
          }
        ],
        "responses": {
          "200": {
            "description": "The metrics",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "cache-control": {
                "$ref": "#/components/headers/cache-control"
              }
            },
            "content": {
              "text/plain": {
                "schema": {
                  "$ref": "#/components/schemas/Metrics"
                }
              }
            }
          },
          "401": {
            "description": "unauthorized",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "www-authenticate": {
                "$ref": "#/components/headers/www-authenticate"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/unauthorized"
                }
              }
            }
          },
          "403": {
            "description": "forbidden",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/forbidden"
                }
              }
            }
          },
          "500": {
            "description": "configuration_error, database_error, internal_error",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "oneOf": [
                    {
                      "$ref": "#/components/schemas/configuration_error"
                    },
                    {
                      "$ref": "#/components/schemas/database_error"
                    },
                    {
                      "$ref": "#/components/schemas/internal_error"
                    }
                  ],
                  "discriminator": {
                    "propertyName": "code"
                  }
                }
              }
            }
          }
        }
      }
    },
    "/provision-machine/reconcile": {
      "post": {
        "summary": "Repair what died; safe to call at any time",
        "security": [
          {
            "service": []
          }
        ],
        "parameters": [
          {
            "$ref": "#/components/parameters/x-request-id"
          },
          {
            "$ref": "#/components/parameters/traceparent"
          }
        ],
        "requestBody": {
          "content": {
            "application/json": {
              "schema": {
                "$ref": "#/components/schemas/ReconcileRequest"
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "What was done",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/ReconcileRun"
                }
              }
            }
          },
          "400": {
            "description": "invalid_request",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/invalid_request"
                }
              }
            }
          },
          "401": {
            "description": "unauthorized",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "www-authenticate": {
                "$ref": "#/components/headers/www-authenticate"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/unauthorized"
                }
              }
            }
          },
          "403": {
            "description": "forbidden",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/forbidden"
                }
              }
            }
          },
          "413": {
            "description": "payload_too_large",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/payload_too_large"
                }
              }
            }
          },
          "415": {
            "description": "unsupported_media_type",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              },
              "accept": {
                "$ref": "#/components/headers/accept"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "$ref": "#/components/schemas/unsupported_media_type"
                }
              }
            }
          },
          "500": {
            "description": "configuration_error, database_error, internal_error",
            "headers": {
              "x-request-id": {
                "$ref": "#/components/headers/x-request-id"
              },
              "retry-after": {
                "$ref": "#/components/headers/retry-after"
              }
            },
            "content": {
              "application/json": {
                "schema": {
                  "oneOf": [
                    {
                      "$ref": "#/components/schemas/configuration_error"
                    },
                    {
                      "$ref": "#/components/schemas/database_error"
                    },
                    {
                      "$ref": "#/components/schemas/internal_error"
                    }
                  ],
                  "discriminator": {
                    "propertyName": "code"
                  }
                }
              }
            }
          }
        }
      }
    }
  },
  "components": {
    "schemas": {
      "ProvisionRequest": {
        "type": "object",
        "properties": {
          "userId": {
            "description": "Required from a service; a user may omit it",
            "type": "string",
            "format": "uuid",
            "pattern": "^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|00000000-0000-0000-0000-000000000000|ffffffff-ffff-ffff-ffff-ffffffffffff)$"
          },
          "region": {
            "description": "One of the operator's FLY_REGIONS",
            "type": "string",
            "maxLength": 64
          },
          "cpuPriority": {
            "default": "normal",
            "type": "string",
            "enum": [
              "low",
              "normal",
              "high"
            ]
          }
        },
        "required": [
          "cpuPriority"
        ],
        "additionalProperties": false
      },
      "ReconcileRequest": {
        "type": "object",
        "properties": {
          "orphans": {
            "description": "Decides about machines that are held back",
            "type": "string",
            "enum": [
              "destroy",
              "adopt"
            ]
          }
        },
        "additionalProperties": false
      },
      "Machine": {
        "type": "object",
        "properties": {
          "machineId": {
            "type": "string",
            "description": "The machine's name at Fly.io"
          },
          "message": {
            "type": "string"
          },
          "region": {
            "type": "string",
            "description": "A region code of Fly.io, such as iad"
          },
          "flyMachineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "description": "Operators search the log by it"
          },
          "websocketUrl": {
            "type": "string",
            "format": "uri",
            "description": "Where the machine is reached"
          },
          "status": {
            "type": "string",
            "enum": [
              "running",
              "stopped"
            ]
          }
        },
        "required": [
          "machineId",
          "message",
          "region",
          "flyMachineId",
          "requestId",
          "websocketUrl",
          "status"
        ],
        "additionalProperties": false
      },
      "PendingMachine": {
        "type": "object",
        "properties": {
          "machineId": {
            "type": "string",
            "description": "The machine's name at Fly.io"
          },
          "message": {
            "type": "string"
          },
          "region": {
            "type": "string",
            "description": "A region code of Fly.io, such as iad"
          },
          "flyMachineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "description": "Operators search the log by it"
          },
          "websocketUrl": {
            "anyOf": [
              {
                "type": "string",
                "format": "uri",
                "description": "Where the machine is reached"
              },
              {
                "type": "null"
              }
            ],
            "description": "Null where the address contains Fly.io's id of the machine"
          },
          "status": {
            "type": "string",
            "const": "provisioning"
          }
        },
        "required": [
          "machineId",
          "message",
          "region",
          "flyMachineId",
          "requestId",
          "websocketUrl",
          "status"
        ],
        "additionalProperties": false
      },
      "Connection": {
        "type": "object",
        "properties": {
          "websocketUrl": {
            "type": "string",
            "format": "uri",
            "description": "Where the machine is reached"
          },
          "token": {
            "type": "string",
            "description": "Goes into the address as the query parameter token"
          },
          "expiresAt": {
            "type": "string",
            "format": "date-time",
            "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
          },
          "status": {
            "type": "string",
            "enum": [
              "running",
              "stopped"
            ]
          },
          "machineId": {
            "type": "string",
            "description": "The machine's name at Fly.io"
          },
          "requestId": {
            "type": "string",
            "description": "Operators search the log by it"
          }
        },
        "required": [
          "websocketUrl",
          "token",
          "expiresAt",
          "status",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false
      },
      "DestroyedMachine": {
        "type": "object",
        "properties": {
          "machineId": {
            "type": "string",
            "description": "The machine's name at Fly.io"
          },
          "status": {
            "type": "string",
            "const": "destroyed"
          },
          "message": {
            "type": "string"
          },
          "requestId": {
            "type": "string",
            "description": "Operators search the log by it"
          }
        },
        "required": [
          "machineId",
          "status",
          "message",
          "requestId"
        ],
        "additionalProperties": false
      },
      "Health": {
        "anyOf": [
          {
            "type": "object",
            "properties": {
              "status": {
                "type": "string",
                "enum": [
                  "pass",
                  "warn",
                  "fail"
                ]
              }
            },
            "required": [
              "status"
            ],
            "additionalProperties": false,
            "description": "What anyone sees"
          },
          {
            "type": "object",
            "properties": {
              "status": {
                "type": "string",
                "enum": [
                  "pass",
                  "warn",
                  "fail"
                ]
              },
              "description": {
                "type": "string"
              },
              "version": {
                "type": "string"
              },
              "releaseId": {
                "type": "string",
                "description": "RELEASE, where it is set"
              },
              "checks": {
                "type": "object",
                "propertyNames": {
                  "type": "string"
                },
                "additionalProperties": {
                  "type": "array",
                  "items": {
                    "type": "object",
                    "properties": {
                      "componentType": {
                        "type": "string",
                        "enum": [
                          "system",
                          "datastore",
                          "component"
                        ]
                      },
                      "status": {
                        "type": "string",
                        "enum": [
                          "pass",
                          "warn",
                          "fail"
                        ]
                      },
                      "time": {
                        "type": "string",
                        "format": "date-time",
                        "pattern": "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
                      },
                      "observedValue": {
                        "type": [
                          "number",
                          "string"
                        ]
                      },
                      "observedUnit": {
                        "type": "string"
                      },
                      "output": {
                        "description": "What is wrong; only where something is",
                        "type": "string"
                      }
                    },
                    "required": [
                      "componentType",
                      "status",
                      "time"
                    ],
                    "additionalProperties": false
                  }
                }
              }
            },
            "required": [
              "status",
              "description",
              "version",
              "checks"
            ],
            "additionalProperties": false,
            "description": "What a service sees"
          }
        ]
      },
      "ReconcileRun": {
        "type": "object",
        "properties": {
          "adopted": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "interrupted": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "destroyed": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "cleanedUp": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "orphansDestroyed": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "lost": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "started": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "stopped": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "crashed": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "expired": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "found": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "pooled": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "poolDiscarded": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "poolDestroyed": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "suspected": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "orphansHeld": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "alertsSent": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "failed": {
            "type": "integer",
            "minimum": 0,
            "maximum": 9007199254740991
          },
          "actions": {
            "maxItems": 100,
            "type": "array",
            "items": {
              "type": "object",
              "properties": {
                "action": {
                  "type": "string",
                  "enum": [
                    "adopted",
                    "interrupted",
                    "destroyed",
                    "cleanedUp",
                    "orphansDestroyed",
                    "lost",
                    "started",
                    "stopped",
                    "crashed",
                    "expired",
                    "found",
                    "pooled",
                    "poolDiscarded",
                    "poolDestroyed",
                    "suspected",
                    "orphansHeld",
                    "alertsSent",
                    "failed"
                  ]
                },
                "machineId": {
                  "type": [
                    "string",
                    "null"
                  ]
                },
                "flyMachineId": {
                  "type": [
                    "string",
                    "null"
                  ]
                },
                "reason": {
                  "type": "string"
                }
              },
              "required": [
                "action",
                "machineId",
                "flyMachineId"
              ],
              "additionalProperties": false
            }
          },
          "requestId": {
            "type": "string",
            "description": "Operators search the log by it"
          }
        },
        "required": [
          "adopted",
          "interrupted",
          "destroyed",
          "cleanedUp",
          "orphansDestroyed",
          "lost",
          "started",
          "stopped",
          "crashed",
          "expired",
          "found",
          "pooled",
          "poolDiscarded",
          "poolDestroyed",
          "suspected",
          "orphansHeld",
          "alertsSent",
          "failed",
          "actions",
          "requestId"
        ],
        "additionalProperties": false
      },
      "Metrics": {
        "type": "string",
        "description": "Prometheus' text format"
      },
      "OpenApi": {
        "type": "object",
        "properties": {
          "openapi": {
            "type": "string"
          }
        },
        "required": [
          "openapi"
        ],
        "additionalProperties": {},
        "description": "This document"
      },
      "invalid_request": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "invalid_request"
          },
          "retry": {
            "type": "string",
            "enum": [
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          },
          "issues": {
            "type": "array",
            "items": {
              "type": "object",
              "properties": {
                "path": {
                  "type": "string"
                },
                "message": {
                  "type": "string"
                }
              },
              "required": [
                "path",
                "message"
              ],
              "additionalProperties": false
            }
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId",
          "issues"
        ],
        "additionalProperties": false,
        "description": "Correct the request and send it again"
      },
      "unauthorized": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "unauthorized"
          },
          "retry": {
            "type": "string",
            "enum": [
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "Sign in and send a current access token"
      },
      "forbidden": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "forbidden"
          },
          "retry": {
            "type": "string",
            "enum": [
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "Act for the signed-in user, or send a secret key"
      },
      "not_found": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "not_found"
          },
          "retry": {
            "type": "string",
            "enum": [
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "Check the path and the machineId"
      },
      "method_not_allowed": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "method_not_allowed"
          },
          "retry": {
            "type": "string",
            "enum": [
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "Use a method that Allow names"
      },
      "machine_limit_reached": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "machine_limit_reached"
          },
          "retry": {
            "type": "string",
            "enum": [
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          },
          "websocketUrl": {
            "anyOf": [
              {
                "type": "string",
                "format": "uri"
              },
              {
                "type": "null"
              }
            ]
          },
          "status": {
            "anyOf": [
              {
                "type": "string",
                "enum": [
                  "provisioning",
                  "running",
                  "stopped",
                  "destroying"
                ]
              },
              {
                "type": "null"
              }
            ]
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId",
          "websocketUrl",
          "status"
        ],
        "additionalProperties": false,
        "description": "Use your existing machine or destroy it first"
      },
      "machine_state_conflict": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "machine_state_conflict"
          },
          "retry": {
            "type": "string",
            "enum": [
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "The state of the machine does not allow this"
      },
      "payload_too_large": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "payload_too_large"
          },
          "retry": {
            "type": "string",
            "enum": [
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "Send a smaller body"
      },
      "unsupported_media_type": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "unsupported_media_type"
          },
          "retry": {
            "type": "string",
            "enum": [
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "Send the body with Content-Type: application/json"
      },
      "idempotency_key_reused": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "idempotency_key_reused"
          },
          "retry": {
            "type": "string",
            "enum": [
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "Send the original request again, or a new key"
      },
      "too_many_requests": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "too_many_requests"
          },
          "retry": {
            "type": "string",
            "enum": [
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "Wait until Retry-After has passed"
      },
      "fleet_full": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "fleet_full"
          },
          "retry": {
            "type": "string",
            "enum": [
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "All machines of this service are in use; try again later"
      },
      "provisioning_paused": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "provisioning_paused"
          },
          "retry": {
            "type": "string",
            "enum": [
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "Its operators have paused the provisioning of new machines"
      },
      "configuration_error": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "configuration_error"
          },
          "retry": {
            "type": "string",
            "enum": [
              "same_key",
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "The server is not configured correctly; its operators have to correct that"
      },
      "database_error": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "database_error"
          },
          "retry": {
            "type": "string",
            "enum": [
              "same_key",
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "The database did not answer as it should; try again shortly"
      },
      "fly_unauthorized": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "fly_unauthorized"
          },
          "retry": {
            "type": "string",
            "enum": [
              "same_key",
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "Server configuration error - Fly.io does not accept FLY_API_TOKEN for this app"
      },
      "fly_rate_limited": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "fly_rate_limited"
          },
          "retry": {
            "type": "string",
            "enum": [
              "same_key",
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "Fly.io is limiting how fast machines are created; try again shortly"
      },
      "fly_capacity": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "fly_capacity"
          },
          "retry": {
            "type": "string",
            "enum": [
              "same_key",
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "The region has no capacity for this machine; try again later or in another region"
      },
      "fly_account_limit": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "fly_account_limit"
          },
          "retry": {
            "type": "string",
            "enum": [
              "same_key",
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "Fly.io gives this service no more machines; its operators have to settle that"
      },
      "fly_rejected": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "fly_rejected"
          },
          "retry": {
            "type": "string",
            "enum": [
              "same_key",
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "Fly.io refused the machine's configuration"
      },
      "fly_unavailable": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "fly_unavailable"
          },
          "retry": {
            "type": "string",
            "enum": [
              "same_key",
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "Fly.io could not be reached or failed; try again shortly"
      },
      "fly_invalid_response": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "fly_invalid_response"
          },
          "retry": {
            "type": "string",
            "enum": [
              "same_key",
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "Fly.io answered something that could not be understood; try again shortly"
      },
      "machine_failed": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "machine_failed"
          },
          "retry": {
            "type": "string",
            "enum": [
              "same_key",
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "The machine failed to start; check its image and its logs at Fly.io"
      },
      "provision_timeout": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "provision_timeout"
          },
          "retry": {
            "type": "string",
            "enum": [
              "same_key",
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "The machine did not start in time and was given up; try again"
      },
      "internal_error": {
        "type": "object",
        "properties": {
          "error": {
            "type": "string",
            "minLength": 1,
            "description": "What happened"
          },
          "message": {
            "type": "string",
            "minLength": 1,
            "description": "What it means for the caller"
          },
          "code": {
            "type": "string",
            "const": "internal_error"
          },
          "retry": {
            "type": "string",
            "enum": [
              "same_key",
              "new_key",
              "no"
            ],
            "description": "Whether sending it again can help, and with which key"
          },
          "machineId": {
            "type": [
              "string",
              "null"
            ]
          },
          "requestId": {
            "type": "string",
            "minLength": 1
          }
        },
        "required": [
          "error",
          "message",
          "code",
          "retry",
          "machineId",
          "requestId"
        ],
        "additionalProperties": false,
        "description": "The failure was logged under this request id"
      }
    },
    "headers": {
      "x-request-id": {
        "description": "Show it with an error: operators search the log by it",
        "schema": {
          "type": "string"
        }
      },
      "retry-after": {
        "description": "When a later try can help, in seconds",
        "schema": {
          "type": "string"
        }
      },
      "idempotency-replayed": {
        "description": "true: the answer of an earlier call with the same key",
        "schema": {
          "type": "string"
        }
      },
      "preference-applied": {
        "description": "respond-async",
        "schema": {
          "type": "string"
        }
      },
      "www-authenticate": {
        "description": "Bearer",
        "schema": {
          "type": "string"
        }
      },
      "allow": {
        "description": "The methods of this path",
        "schema": {
          "type": "string"
        }
      },
      "accept": {
        "description": "The media type that is accepted",
        "schema": {
          "type": "string"
        }
      },
      "cache-control": {
        "description": "no-store",
        "schema": {
          "type": "string"
        }
      }
    },
    "parameters": {
      "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A new one for each machine that is wanted",
        "schema": {
          "type": "string"
        }
      },
      "Prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "respond-async: answer 202 at once",
        "schema": {
          "type": "string"
        }
      },
      "x-request-id": {
        "name": "x-request-id",
        "in": "header",
        "description": "Kept and logged if it is valid",
        "schema": {
          "type": "string"
        }
      },
      "traceparent": {
        "name": "traceparent",
        "in": "header",
        "description": "A W3C trace to continue",
        "schema": {
          "type": "string"
        }
      }
    },
    "securitySchemes": {
      "user": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A signed-in user's access token"
      },
      "service": {
        "type": "apiKey",
        "in": "header",
        "name": "apikey",
        "description": "A secret key of the project"
      }
    }
  }
};
