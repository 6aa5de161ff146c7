package event

// ParseFilter reads and validates a filter in JSON, as the CloudEvents Subscriptions
// API writes it: {"all": [{"exact": {"type": "…"}}, {"not": {…}}]}.
func ParseFilter(b []byte) (Filter, error) {
	if len(b) > maxFilterBytes {
		return Filter{}, TooLarge("filter in bytes", int64(len(b)), maxFilterBytes)
	}
	if err := checkJSON(b); err != nil {
		return Filter{}, err
	}
	f, err := parseFilter(b, 1)
	if err != nil {
		return Filter{}, err
	}
	return f, f.Validate()
}

// UnmarshalJSON is ParseFilter for encoding/json.
func (f *Filter) UnmarshalJSON(b []byte) error {
	parsed, err := ParseFilter(b)
	if err != nil {
		return err
	}
	*f = parsed
	return nil
}

// parseFilter reads valid JSON. The depth is bounded here too, since every level walks
// the text below it once more.
func parseFilter(b []byte, depth int) (Filter, *Error) {
	var f Filter
	if depth > maxFilterDepth {
		return f, TooLarge("depth of a filter", int64(depth), maxFilterDepth)
	}
	if startOf(b) != '{' {
		return f, Errorf(CodeInvalid, "filter %s: is not a JSON object", quote(b))
	}
	for name, value := range members(b) {
		if err := f.parseDialect(name, value, depth); err != nil {
			return Filter{}, err
		}
	}
	return f, nil
}

func (f *Filter) parseDialect(name, value []byte, depth int) (err *Error) {
	seen := f.dialects()
	switch string(name) {
	case `"exact"`:
		f.Exact, err = parsePairs(value)
	case `"prefix"`:
		f.Prefix, err = parsePairs(value)
	case `"suffix"`:
		f.Suffix, err = parsePairs(value)
	case `"all"`:
		f.All, err = parseFilters(value, depth)
	case `"any"`:
		f.Any, err = parseFilters(value, depth)
	case `"not"`:
		var not Filter
		not, err = parseFilter(value, depth+1)
		f.Not = &not
	default:
		return Errorf(CodeInvalid, "filter: the dialect %s is unknown, want exact, prefix, suffix, all, any or not", quote(name))
	}
	if err == nil && f.dialects() == seen {
		return Errorf(CodeInvalid, "filter: the dialect %s appears twice", name)
	}
	return err
}

func parsePairs(b []byte) (map[string]string, *Error) {
	if b[0] != '{' {
		return nil, Errorf(CodeInvalid, "filter %s: is not a JSON object of strings", quote(b))
	}
	pairs := make(map[string]string)
	for rawName, value := range members(b) {
		name, err := jsonString("filter", rawName)
		if err != nil {
			return nil, err
		}
		if _, twice := pairs[name]; twice {
			return nil, Errorf(CodeInvalid, "filter: %s appears twice", quote(name))
		}
		if pairs[name], err = jsonString("filter", value); err != nil {
			return nil, err
		}
	}
	return pairs, nil
}

func parseFilters(b []byte, depth int) ([]Filter, *Error) {
	if b[0] != '[' {
		return nil, Errorf(CodeInvalid, "filter %s: is not a JSON array", quote(b))
	}
	list := []Filter{}
	for element := range elements(b) {
		f, err := parseFilter(element, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	return list, nil
}
