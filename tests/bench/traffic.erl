%% What the proxy bench runs in two unmodified nodes. The callee is `echo`, which takes data and
%% answers marks; the caller does what its stdin says, one command a line, until stdin ends:
%%
%%   connect NODE      => true | false
%%   bulk COUNT SIZE   => ns from the first of so many binaries sent until all have arrived
%%   trips COUNT       => ns, the median of so many round trips of a small message
-module(traffic).
-export([callee/0, caller/0]).

callee() ->
    register(echo, self()),
    say(ready),
    spawn(fun() -> until_stdin_ends() end),
    echo().

until_stdin_ends() ->
    case io:get_line("") of
        eof -> halt();
        _ -> until_stdin_ends()
    end.

echo() ->
    receive
        {data, _} ->
            echo();
        {mark, From, Mark} ->
            From ! Mark,
            echo()
    end.

caller() ->
    say(ready),
    serve(none).

serve(Node) ->
    case string:lexemes(case io:get_line("") of eof -> halt(); Line -> Line end, " \n") of
        ["connect", Name] ->
            Other = list_to_atom(Name),
            say(net_kernel:connect_node(Other)),
            serve(Other);
        ["bulk", Count, Size] ->
            say(bulk(Node, list_to_integer(Count), list_to_integer(Size))),
            serve(Node);
        ["trips", Count] ->
            say(trips(Node, list_to_integer(Count))),
            serve(Node)
    end.

say(Value) ->
    io:format("=> ~0p~n", [Value]).

bulk(Node, Count, Size) ->
    Data = binary:copy(<<"x">>, Size),
    nanoseconds(fun() ->
        [{echo, Node} ! {data, Data} || _ <- lists:seq(1, Count)],
        mark(Node)
    end).

trips(Node, Count) ->
    Times = [nanoseconds(fun() -> mark(Node) end) || _ <- lists:seq(1, Count)],
    lists:nth((Count + 1) div 2, lists:sort(Times)).

mark(Node) ->
    Mark = make_ref(),
    {echo, Node} ! {mark, self(), Mark},
    receive
        Mark -> ok
    end.

nanoseconds(Do) ->
    Began = erlang:monotonic_time(nanosecond),
    Do(),
    erlang:monotonic_time(nanosecond) - Began.
