package main

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/hibiken/asynq"
)

// inspect calls any method of asynq.Inspector: {"result": …, "error": …}. List options are left at their defaults.
func inspect(redis asynq.RedisConnOpt, method, arguments string) error {
	inspector := asynq.NewInspector(redis)
	defer inspector.Close()
	call := reflect.ValueOf(inspector).MethodByName(method)
	if !call.IsValid() {
		return fmt.Errorf("asynq.Inspector has no method %s", method)
	}
	var given []json.RawMessage
	if err := json.Unmarshal([]byte(arguments), &given); err != nil {
		return err
	}
	in := make([]reflect.Value, len(given))
	for i := range given {
		value := reflect.New(call.Type().In(i))
		if err := json.Unmarshal(given[i], value.Interface()); err != nil {
			return err
		}
		in[i] = value.Elem()
	}
	answer := map[string]any{"result": nil, "error": nil}
	for _, value := range call.Call(in) {
		if err, ok := value.Interface().(error); ok {
			answer["error"] = err.Error()
		} else if value.Type() != reflect.TypeOf((*error)(nil)).Elem() {
			answer["result"] = value.Interface()
		}
	}
	emit(answer)
	return nil
}
