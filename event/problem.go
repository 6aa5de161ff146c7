package event

// ProblemGivenUp is the type of the problem (RFC 9457) with which edri itself answers a
// request whose handlers have failed and will not be called again: nobody will do it.
const ProblemGivenUp = "urn:edri:problem:given_up"
