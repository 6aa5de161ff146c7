package event

import "fmt"

// DecodeJSON reads one event in the JSON format of CloudEvents and validates it.
// Attributes that the server sets are dropped, so that an exported event may be
// imported; every other member that CloudEvents does not define is an extension.
func DecodeJSON(b []byte) (Event, error) {
	if err := checkJSON(b); err != nil {
		return Event{}, err
	}
	d := jsonDecoder{}
	if err := d.decode(b); err != nil {
		return Event{}, err
	}
	return d.event, nil
}

// UnmarshalJSON is DecodeJSON for encoding/json.
func (e *Event) UnmarshalJSON(b []byte) error {
	decoded, err := DecodeJSON(b)
	if err != nil {
		return err
	}
	*e = decoded
	return nil
}

// UnmarshalJSON reads what Recorded.MarshalJSON wrote. All four attributes of the
// server must be there.
func (r *Recorded) UnmarshalJSON(b []byte) error {
	if err := checkJSON(b); err != nil {
		return err
	}
	d := jsonDecoder{server: make(map[string]string)}
	decoded, err := d.recorded(b)
	if err != nil {
		return err
	}
	*r = decoded
	return nil
}

// DecodeJSONBatch reads a batch in the JSON format of CloudEvents: an array of events,
// which may be empty. An error tells the event's index, from 0.
func DecodeJSONBatch(b []byte) ([]Event, error) {
	if err := checkJSON(b); err != nil {
		return nil, err
	}
	if startOf(b) != '[' {
		return nil, Errorf(CodeInvalid, "batch: is not a JSON array")
	}
	events := []Event{}
	for element := range elements(b) {
		d := jsonDecoder{}
		if err := d.decode(element); err != nil {
			err.Message = fmt.Sprintf("event %d: %s", len(events), err.Message)
			return nil, err
		}
		events = append(events, d.event)
	}
	return events, nil
}
