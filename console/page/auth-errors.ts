/** What Supabase Auth's errors mean, in words. */

/** The parts of supabase-js's `AuthError` that are used. */
export interface AuthFailure {
  /** https://supabase.com/docs/guides/auth/debugging/error-codes */
  code?: string | undefined;
  message: string;
  status?: number | undefined;
}

export function authErrorInWords({ code, message, status }: AuthFailure): string {
  switch (code) {
    case "invalid_credentials":
      return "No account has this email and password.";
    case "otp_disabled":
    case "user_not_found":
      return "No account has this email.";
    case "user_already_exists":
    case "email_exists":
      return "There is an account with this email: sign in instead.";
    case "weak_password":
      return `This password is too weak. ${message}`;
    case "over_request_rate_limit":
    case "over_email_send_rate_limit":
      return "Too many attempts. Wait a minute and try again.";
  }
  // A request that never arrived has no status, or 0.
  return status ? message : "Supabase could not be reached. Check your connection.";
}
