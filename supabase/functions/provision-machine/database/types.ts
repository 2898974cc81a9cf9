
export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]

export type Database = {
  
  "public": {
          Tables: {
            "cloud_machines": {
                  Row: {
                    "cpu_priority": string,"created_at": string,"deadline_at": string,"destroy_requested_at": string | null,"error_code": string | null,"error_message": string | null,"fly_app_name": string | null,"fly_machine_id": string | null,"id": string,"idempotency_key": string | null,"machine_id": string,"provisioned_at": string | null,"reconcile_at": string | null,"region": string,"request_hash": string,"request_id": string,"status": string,"updated_at": string,"user_id": string | null,"websocket_url": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "cpu_priority": string,"created_at"?: string,"deadline_at": string,"destroy_requested_at"?: string | null,"error_code"?: string | null,"error_message"?: string | null,"fly_app_name"?: string | null,"fly_machine_id"?: string | null,"id"?: string,"idempotency_key"?: string | null,"machine_id": string,"provisioned_at"?: string | null,"reconcile_at"?: string | null,"region": string,"request_hash": string,"request_id": string,"status"?: string,"updated_at"?: string,"user_id"?: string | null,"websocket_url"?: string | null
                  }
                  Update: {
                    "cpu_priority"?: string,"created_at"?: string,"deadline_at"?: string,"destroy_requested_at"?: string | null,"error_code"?: string | null,"error_message"?: string | null,"fly_app_name"?: string | null,"fly_machine_id"?: string | null,"id"?: string,"idempotency_key"?: string | null,"machine_id"?: string,"provisioned_at"?: string | null,"reconcile_at"?: string | null,"region"?: string,"request_hash"?: string,"request_id"?: string,"status"?: string,"updated_at"?: string,"user_id"?: string | null,"websocket_url"?: string | null
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
            [_ in never]: never
          }
          Functions: {
            "claim_machine":
{ Args: { "p_cpu_priority": string,"p_error_code"?: string,"p_error_message"?: string,"p_fly_app_name"?: string,"p_idempotency_key"?: string,"p_machine_id": string,"p_machine_limit": number,"p_region": string,"p_request_hash": string,"p_request_id": string,"p_timeout_ms": number,"p_user_id": string,"p_websocket_url_template"?: string }; Returns: Json
                           },
"hand_over_to_reconcile":
{ Args: { "p_after_ms": number,"p_ids": (string)[],"p_reason": string }; Returns: number
                           },
"list_running_machines":
{ Args: { "p_after"?: string,"p_fly_app_name": string,"p_limit": number }; Returns: Json
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
"mark_machine_running":
{ Args: { "p_adopted"?: boolean,"p_detail"?: Json,"p_duration_ms": number,"p_fly_machine_id": string,"p_id": string,"p_region": string,"p_request_id": string }; Returns: Json
                           },
"record_fly_machine":
{ Args: { "p_duration_ms": number,"p_fly_machine_id": string,"p_id": string,"p_region": string,"p_request_id": string }; Returns: Json
                           },
"record_reconcile_run":
{ Args: { "p_counts": Json,"p_duration_ms": number,"p_request_id": string }; Returns: undefined
                           },
"request_machine_destroy":
{ Args: { "p_lease_ms": number,"p_machine_id": string,"p_request_id": string,"p_user_id"?: string }; Returns: Json
                           },
"take_due_machines":
{ Args: { "p_lease_ms": number,"p_limit": number }; Returns: Json
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
