
export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]

export type Database = {
  
  "public": {
          Tables: {
            "alert_codes": {
                  Row: {
                    "code": string,"kind": string,"last_alert_at": string
                  }
                  ComputedFields: never
                  Insert: {
                    "code": string,"kind": string,"last_alert_at": string
                  }
                  Update: {
                    "code"?: string,"kind"?: string,"last_alert_at"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "alert_codes_kind_fkey"
      columns: ["kind"]
isOneToOne: false
      referencedRelation: "alert_states"
      referencedColumns: ["kind"]
    }
                  ]
                },"alert_states": {
                  Row: {
                    "firing": boolean,"held_back": Json | null,"kind": string
                  }
                  ComputedFields: never
                  Insert: {
                    "firing"?: boolean,"held_back"?: Json | null,"kind": string
                  }
                  Update: {
                    "firing"?: boolean,"held_back"?: Json | null,"kind"?: string
                  }
                  Relationships: [
                    
                  ]
                },"alerts": {
                  Row: {
                    "attempts": number,"content": NonNullable<Json>,"created_at": string,"event": string,"id": number,"kind": string,"last_error": string | null,"next_attempt_at": string | null,"sent_at": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "attempts"?: number,"content": NonNullable<Json>,"created_at"?: string,"event": string,"id"?: never,"kind": string,"last_error"?: string | null,"next_attempt_at"?: string | null,"sent_at"?: string | null
                  }
                  Update: {
                    "attempts"?: number,"content"?: NonNullable<Json>,"created_at"?: string,"event"?: string,"id"?: never,"kind"?: string,"last_error"?: string | null,"next_attempt_at"?: string | null,"sent_at"?: string | null
                  }
                  Relationships: [
                    {
      foreignKeyName: "alerts_kind_fkey"
      columns: ["kind"]
isOneToOne: false
      referencedRelation: "alert_states"
      referencedColumns: ["kind"]
    }
                  ]
                },"cloud_machines": {
                  Row: {
                    "cpu_priority": string,"create_bucket": string | null,"created_at": string,"deadline_at": string,"destroy_requested_at": string | null,"error_code": string | null,"error_message": string | null,"failed_since": string | null,"fly_app_name": string | null,"fly_machine_id": string | null,"former_machine_ids": (string)[],"id": string,"idempotency_key": string | null,"leased_by": string | null,"machine_id": string,"missing_since": string | null,"provisioned_at": string | null,"reconcile_at": string | null,"reconcile_attempts": number,"region": string,"request_hash": string,"request_id": string,"status": string,"stop_reason": string | null,"updated_at": string,"user_id": string | null,"websocket_url": string | null,"websocket_url_template": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "cpu_priority": string,"create_bucket"?: string | null,"created_at"?: string,"deadline_at": string,"destroy_requested_at"?: string | null,"error_code"?: string | null,"error_message"?: string | null,"failed_since"?: string | null,"fly_app_name"?: string | null,"fly_machine_id"?: string | null,"former_machine_ids"?: (string)[],"id"?: string,"idempotency_key"?: string | null,"leased_by"?: string | null,"machine_id": string,"missing_since"?: string | null,"provisioned_at"?: string | null,"reconcile_at"?: string | null,"reconcile_attempts"?: number,"region": string,"request_hash": string,"request_id": string,"status"?: string,"stop_reason"?: string | null,"updated_at"?: string,"user_id"?: string | null,"websocket_url"?: string | null,"websocket_url_template"?: string | null
                  }
                  Update: {
                    "cpu_priority"?: string,"create_bucket"?: string | null,"created_at"?: string,"deadline_at"?: string,"destroy_requested_at"?: string | null,"error_code"?: string | null,"error_message"?: string | null,"failed_since"?: string | null,"fly_app_name"?: string | null,"fly_machine_id"?: string | null,"former_machine_ids"?: (string)[],"id"?: string,"idempotency_key"?: string | null,"leased_by"?: string | null,"machine_id"?: string,"missing_since"?: string | null,"provisioned_at"?: string | null,"reconcile_at"?: string | null,"reconcile_attempts"?: number,"region"?: string,"request_hash"?: string,"request_id"?: string,"status"?: string,"stop_reason"?: string | null,"updated_at"?: string,"user_id"?: string | null,"websocket_url"?: string | null,"websocket_url_template"?: string | null
                  }
                  Relationships: [
                    
                  ]
                },"fly_create_buckets": {
                  Row: {
                    "app_name": string,"full_at": string
                  }
                  ComputedFields: never
                  Insert: {
                    "app_name": string,"full_at"?: string
                  }
                  Update: {
                    "app_name"?: string,"full_at"?: string
                  }
                  Relationships: [
                    
                  ]
                },"fly_create_slots": {
                  Row: {
                    "app_name": string,"cloud_machine_id": string | null,"id": number,"slot_at": string,"user_id": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "app_name": string,"cloud_machine_id"?: string | null,"id"?: never,"slot_at": string,"user_id"?: string | null
                  }
                  Update: {
                    "app_name"?: string,"cloud_machine_id"?: string | null,"id"?: never,"slot_at"?: string,"user_id"?: string | null
                  }
                  Relationships: [
                    {
      foreignKeyName: "fly_create_slots_app_name_fkey"
      columns: ["app_name"]
isOneToOne: false
      referencedRelation: "fly_create_buckets"
      referencedColumns: ["app_name"]
    },{
      foreignKeyName: "fly_create_slots_cloud_machine_id_fkey"
      columns: ["cloud_machine_id"]
isOneToOne: true
      referencedRelation: "cloud_machines"
      referencedColumns: ["id"]
    }
                  ]
                },"fly_orphans": {
                  Row: {
                    "first_seen_at": string,"fly_machine_id": string,"last_seen_at": string
                  }
                  ComputedFields: never
                  Insert: {
                    "first_seen_at"?: string,"fly_machine_id": string,"last_seen_at"?: string
                  }
                  Update: {
                    "first_seen_at"?: string,"fly_machine_id"?: string,"last_seen_at"?: string
                  }
                  Relationships: [
                    
                  ]
                },"full_regions": {
                  Row: {
                    "full_until": string,"reason": string,"region": string
                  }
                  ComputedFields: never
                  Insert: {
                    "full_until": string,"reason": string,"region": string
                  }
                  Update: {
                    "full_until"?: string,"reason"?: string,"region"?: string
                  }
                  Relationships: [
                    
                  ]
                },"installation": {
                  Row: {
                    "created_at": string,"id": string,"only_row": boolean,"orphans_held": number,"project_host": string | null,"reconcile_request_id": number | null,"tag": string
                  }
                  ComputedFields: never
                  Insert: {
                    "created_at"?: string,"id"?: string,"only_row"?: boolean,"orphans_held"?: number,"project_host"?: string | null,"reconcile_request_id"?: number | null,"tag"?: string
                  }
                  Update: {
                    "created_at"?: string,"id"?: string,"only_row"?: boolean,"orphans_held"?: number,"project_host"?: string | null,"reconcile_request_id"?: number | null,"tag"?: string
                  }
                  Relationships: [
                    
                  ]
                },"machine_events": {
                  Row: {
                    "cloud_machine_id": string | null,"created_at": string,"detail": NonNullable<Json>,"duration_ms": number | null,"error_code": string | null,"id": number,"kind": string,"request_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "cloud_machine_id"?: string | null,"created_at"?: string,"detail"?: NonNullable<Json>,"duration_ms"?: number | null,"error_code"?: string | null,"id"?: never,"kind": string,"request_id": string
                  }
                  Update: {
                    "cloud_machine_id"?: string | null,"created_at"?: string,"detail"?: NonNullable<Json>,"duration_ms"?: number | null,"error_code"?: string | null,"id"?: never,"kind"?: string,"request_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "machine_events_cloud_machine_id_fkey"
      columns: ["cloud_machine_id"]
isOneToOne: false
      referencedRelation: "cloud_machines"
      referencedColumns: ["id"]
    }
                  ]
                },"metric_counters": {
                  Row: {
                    "labels": NonNullable<Json>,"metric": string,"shard": number,"value": number
                  }
                  ComputedFields: never
                  Insert: {
                    "labels": NonNullable<Json>,"metric": string,"shard": number,"value": number
                  }
                  Update: {
                    "labels"?: NonNullable<Json>,"metric"?: string,"shard"?: number,"value"?: number
                  }
                  Relationships: [
                    
                  ]
                },"metric_durations": {
                  Row: {
                    "buckets": (number)[],"outcome": string,"shard": number,"sum_ms": number
                  }
                  ComputedFields: never
                  Insert: {
                    "buckets": (number)[],"outcome": string,"shard": number,"sum_ms": number
                  }
                  Update: {
                    "buckets"?: (number)[],"outcome"?: string,"shard"?: number,"sum_ms"?: number
                  }
                  Relationships: [
                    
                  ]
                },"pooled_machines": {
                  Row: {
                    "checked_at": string | null,"config_hash": string,"create_bucket": string,"created_at": string,"discard_reason": string | null,"fly_app_name": string,"fly_machine_id": string | null,"id": string,"looked_again": boolean,"machine_id": string,"made_until": string,"missing_since": string | null,"reconcile_at": string | null,"region": string,"standby": string,"state": string,"websocket_url": string
                  }
                  ComputedFields: never
                  Insert: {
                    "checked_at"?: string | null,"config_hash": string,"create_bucket": string,"created_at"?: string,"discard_reason"?: string | null,"fly_app_name": string,"fly_machine_id"?: string | null,"id"?: string,"looked_again"?: boolean,"machine_id": string,"made_until": string,"missing_since"?: string | null,"reconcile_at"?: string | null,"region": string,"standby": string,"state"?: string,"websocket_url": string
                  }
                  Update: {
                    "checked_at"?: string | null,"config_hash"?: string,"create_bucket"?: string,"created_at"?: string,"discard_reason"?: string | null,"fly_app_name"?: string,"fly_machine_id"?: string | null,"id"?: string,"looked_again"?: boolean,"machine_id"?: string,"made_until"?: string,"missing_since"?: string | null,"reconcile_at"?: string | null,"region"?: string,"standby"?: string,"state"?: string,"websocket_url"?: string
                  }
                  Relationships: [
                    
                  ]
                },"reconcile_runs": {
                  Row: {
                    "counts": NonNullable<Json>,"created_at": string,"duration_ms": number,"id": number,"request_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "counts": NonNullable<Json>,"created_at"?: string,"duration_ms": number,"id"?: never,"request_id": string
                  }
                  Update: {
                    "counts"?: NonNullable<Json>,"created_at"?: string,"duration_ms"?: number,"id"?: never,"request_id"?: string
                  }
                  Relationships: [
                    
                  ]
                }
          }
          Views: {
            "machine_usage": {
                  Row: {
                    "day": string | null,"machine_id": string,"running_seconds": number | null,"stopped_seconds": number | null,"user_id": string | null
                  }
                  ComputedFields: never
                  Relationships: [
                    
                  ]
                }
          }
          Functions: {
            "add_pooled_machine":
{ Args: { "p_config_hash": string,"p_create_bucket": string,"p_make_within_ms": number,"p_max_machines": number,"p_name_prefix": string,"p_pool_size": number,"p_random": string,"p_rate_per_second": number,"p_region": string,"p_standby": string,"p_websocket_url_template": string }; Returns: Json
                           },
"add_to_durations":
{ Args: { "p_ms": number,"p_outcome": string }; Returns: undefined
                           },
"add_to_metric":
{ Args: { "p_by"?: number,"p_labels": Json,"p_metric": string }; Returns: undefined
                           },
"adopt_orphan":
{ Args: { "p_cpu_priority": string,"p_create_bucket"?: string,"p_fly_app_name": string,"p_fly_machine_id": string,"p_machine_id": string,"p_region": string,"p_request_id": string,"p_user_id": string,"p_websocket_url": string }; Returns: Json
                           },
"begin_reconcile":
{ Args: { "p_project_host"?: string }; Returns: Json
                           },
"claim_machine":
{ Args: { "p_burst": number,"p_config_hash"?: string,"p_cpu_priority": string,"p_error_code"?: string,"p_error_message"?: string,"p_fly_app_names"?: (string)[],"p_idempotency_key"?: string,"p_machine_id": string,"p_machine_limit": number,"p_max_machines"?: number,"p_name_prefix"?: string,"p_own_app"?: boolean,"p_paused"?: boolean,"p_pooled_for_ms"?: number,"p_project_host"?: string,"p_provisions_per_hour"?: number,"p_rate_per_second": number,"p_region": string,"p_request_hash": string,"p_request_id": string,"p_timeout_ms": number,"p_user_id": string,"p_wait_at_most_ms": number,"p_websocket_url_template"?: string }; Returns: Json
                           },
"count_machines":
{ Args: { "p_at_most": number }; Returns: number
                           },
"count_refused":
{ Args: { "p_counts": Json }; Returns: undefined
                           },
"delay_creates":
{ Args: { "p_burst": number,"p_id": string,"p_rate_per_second": number,"p_retry_after_ms": number }; Returns: Json
                           },
"discard_pooled_machine":
{ Args: { "p_id": string,"p_reason": string }; Returns: boolean
                           },
"evaluate_alerts":
{ Args: { "p_by_reconcile"?: boolean,"p_cooldown_ms": number,"p_lease_ms": number,"p_max_machines"?: number,"p_threshold": number,"p_window_ms": number }; Returns: Json
                           },
"expire_machines":
{ Args: { "p_lifetime_ms": number,"p_limit": number,"p_request_id": string }; Returns: Json
                           },
"find_machine":
{ Args: { "p_machine_id": string,"p_unless_banned"?: boolean,"p_user_id"?: string }; Returns: Json
                           },
"finish_alert":
{ Args: { "p_error"?: string,"p_id": number,"p_retry_in_ms"?: number }; Returns: undefined
                           },
"finish_pooled_machine":
{ Args: { "p_gone": boolean,"p_id": string }; Returns: undefined
                           },
"give_back_create_slot":
{ Args: { "p_id": string }; Returns: undefined
                           },
"hand_over_to_reconcile":
{ Args: { "p_after_ms": number,"p_ids": (string)[],"p_reason": string }; Returns: number
                           },
"hold_orphans":
{ Args: { "p_count": number }; Returns: number
                           },
"installation_copied":
{ Args: Record<PropertyKey, never>; Returns: string
                           },
"installation_moved":
{ Args: Record<PropertyKey, never>; Returns: string
                           },
"is_fenced":
{ Args: { "p_project_host": string }; Returns: boolean
                           },
"list_live_machines":
{ Args: { "p_after"?: string,"p_fly_app_name"?: string,"p_limit": number }; Returns: Json
                           },
"lock_user":
{ Args: { "p_user_id": string }; Returns: string
                           },
"machine_limit":
{ Args: { "p_user_id": string }; Returns: number
                           },
"mark_machine_cleaned_up":
{ Args: { "p_detail"?: Json,"p_duration_ms": number,"p_id": string,"p_request_id": string }; Returns: Json
                           },
"mark_machine_destroyed":
{ Args: { "p_detail"?: Json,"p_duration_ms": number,"p_id": string,"p_look_again": boolean,"p_request_id": string }; Returns: Json
                           },
"mark_machine_error":
{ Args: { "p_cleanup_in_ms"?: number,"p_detail"?: Json,"p_duration_ms": number,"p_error_code": string,"p_error_message": string,"p_expected_status": string,"p_fly_machine_id"?: string,"p_id": string,"p_request_id": string }; Returns: Json
                           },
"mark_machine_found":
{ Args: { "p_duration_ms": number,"p_id": string,"p_request_id": string }; Returns: Json
                           },
"mark_machine_running":
{ Args: { "p_adopted"?: boolean,"p_detail"?: Json,"p_duration_ms": number,"p_fly_machine_id": string,"p_id": string,"p_region": string,"p_request_id": string }; Returns: Json
                           },
"mark_machine_started":
{ Args: { "p_detail"?: Json,"p_duration_ms": number,"p_id": string,"p_request_id": string,"p_unchanged_for_ms"?: number }; Returns: Json
                           },
"mark_machine_stopped":
{ Args: { "p_detail"?: Json,"p_duration_ms": number,"p_id": string,"p_reason": string,"p_request_id": string,"p_unchanged_for_ms"?: number }; Returns: Json
                           },
"metric_duration_bounds_ms":
{ Args: Record<PropertyKey, never>; Returns: (number)[]
                           },
"note_failed_machine":
{ Args: { "p_id": string }; Returns: Json
                           },
"note_missing_machine":
{ Args: { "p_id": string }; Returns: Json
                           },
"note_orphans":
{ Args: { "p_fly_machine_ids": (string)[] }; Returns: Json
                           },
"note_pooled_machines":
{ Args: { "p_complete": boolean,"p_create_bucket": string,"p_listed": (string)[],"p_present": (string)[] }; Returns: Json
                           },
"note_present_machines":
{ Args: { "p_fly_machine_ids": (string)[] }; Returns: number
                           },
"note_refused_region":
{ Args: { "p_for_ms": number,"p_region": string }; Returns: undefined
                           },
"note_regions":
{ Args: { "p_for_ms": number,"p_full": (string)[],"p_with_room": (string)[] }; Returns: undefined
                           },
"pool_target":
{ Args: { "p_max_machines": number,"p_pool_size": number }; Returns: number
                           },
"prune_history":
{ Args: { "p_keep_days"?: number,"p_limit"?: number }; Returns: number
                           },
"read_full_regions":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"read_health":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"read_machines":
{ Args: { "p_fly_machine_ids": (string)[],"p_names": (string)[] }; Returns: Json
                           },
"read_metrics":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"read_owners":
{ Args: { "p_fly_machine_ids": (string)[],"p_names": (string)[] }; Returns: Json
                           },
"reconcile_problem":
{ Args: Record<PropertyKey, never>; Returns: string
                           },
"record_failed_change":
{ Args: { "p_change": string,"p_duration_ms": number,"p_error_code": string,"p_id": string,"p_request_id": string }; Returns: undefined
                           },
"record_failed_request":
{ Args: { "p_call"?: string,"p_duration_ms": number,"p_error_code": string,"p_request_id": string }; Returns: undefined
                           },
"record_fly_machine":
{ Args: { "p_duration_ms": number,"p_fly_machine_id": string,"p_id": string,"p_region": string,"p_request_id": string }; Returns: Json
                           },
"record_pooled_machine":
{ Args: { "p_fly_machine_id": string,"p_id": string,"p_region": string }; Returns: boolean
                           },
"record_reconcile_run":
{ Args: { "p_counts": Json,"p_duration_ms": number,"p_request_id": string }; Returns: undefined
                           },
"rename_machine":
{ Args: { "p_duration_ms": number,"p_id": string,"p_name_prefix": string,"p_random": string,"p_request_id": string,"p_taken_name": string,"p_websocket_url_template": string }; Returns: Json
                           },
"replace_pooled_machine":
{ Args: { "p_burst": number,"p_config_hash": string,"p_duration_ms": number,"p_id": string,"p_max_machines": number,"p_name_prefix": string,"p_random": string,"p_rate_per_second": number,"p_reason": string,"p_refused_name": string,"p_request_id": string,"p_standby": string,"p_wait_at_most_ms": number,"p_websocket_url_template": string }; Returns: Json
                           },
"request_machine_change":
{ Args: { "p_change": string,"p_machine_id": string,"p_project_host"?: string,"p_request_id": string,"p_user_id"?: string }; Returns: Json
                           },
"request_machine_destroy":
{ Args: { "p_lease_ms": number,"p_machine_id": string,"p_project_host"?: string,"p_request_id": string,"p_user_id"?: string }; Returns: Json
                           },
"request_reconcile":
{ Args: Record<PropertyKey, never>; Returns: number
                           },
"reserve_create_slot":
{ Args: { "p_app_names": (string)[],"p_burst": number,"p_rate_per_second": number,"p_user_id": string,"p_wait_at_most_ms": number }; Returns: Record<string, unknown>
                           },
"schema_version":
{ Args: Record<PropertyKey, never>; Returns: string
                           },
"settle_pool":
{ Args: { "p_config_hash"?: string,"p_lease_ms": number,"p_limit": number,"p_max_machines": number,"p_pool_size": number }; Returns: Json
                           },
"take_create_slot":
{ Args: { "p_id": string }; Returns: Json
                           },
"take_due_alerts":
{ Args: { "p_lease_ms": number,"p_limit": number }; Returns: Json
                           },
"take_due_machines":
{ Args: { "p_call": string,"p_lease_ms": number,"p_limit": number }; Returns: Json
                           },
"take_pooled_machine":
{ Args: { "p_config_hash": string }; Returns: {
              "checked_at": string | null,
"config_hash": string,
"create_bucket": string,
"created_at": string,
"discard_reason": string | null,
"fly_app_name": string,
"fly_machine_id": string | null,
"id": string,
"looked_again": boolean,
"machine_id": string,
"made_until": string,
"missing_since": string | null,
"reconcile_at": string | null,
"region": string,
"standby": string,
"state": string,
"websocket_url": string
            }[]
                          SetofOptions: {
        from: "*"
        to: "pooled_machines"
        isOneToOne: false
        isSetofReturn: true
      } },
"user_state":
{ Args: { "p_user_id": string }; Returns: string
                           }
          }
          Enums: {
            [_ in never]: never
          }
          CompositeTypes: {
            [_ in never]: never
          }
        }
}

type DatabaseWithoutInternals = Omit<Database, '__InternalSupabase'>

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, "public">]

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
        DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])
    : never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
      DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])[TableName] extends {
      Row: infer R
    }
    ? R
    : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
  ? (DefaultSchema["Tables"] & DefaultSchema["Views"])[DefaultSchemaTableNameOrOptions] extends {
      Row: infer R
    }
    ? R
    : never
  : never

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
      Insert: infer I
    }
    ? I
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
  ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Insert: infer I
    }
    ? I
    : never
  : never

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
      Update: infer U
    }
    ? U
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
  ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Update: infer U
    }
    ? U
    : never
  : never

export type Enums<
  DefaultSchemaEnumNameOrOptions extends
    | keyof DefaultSchema["Enums"]
    | { schema: keyof DatabaseWithoutInternals },
  EnumName extends DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"]
    : never = never
> = DefaultSchemaEnumNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"][EnumName]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema["Enums"]
  ? DefaultSchema["Enums"][DefaultSchemaEnumNameOrOptions]
  : never

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema["CompositeTypes"]
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"]
    : never = never
> = PublicCompositeTypeNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"][CompositeTypeName]
  : PublicCompositeTypeNameOrOptions extends keyof DefaultSchema["CompositeTypes"]
  ? DefaultSchema["CompositeTypes"][PublicCompositeTypeNameOrOptions]
  : never

export const Constants = {
  "public": {
          Enums: {
            
          }
        }
} as const
