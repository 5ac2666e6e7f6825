%% Connects a node with others and takes the connections down again, in a random order that a seed
%% repeats. Run inside an unmodified node: {Connects, Retries, Wrong}, where a retry is a connect_node
%% that answered false, and Wrong is what must never be; it ends with that.
-module(rounds).
-export([run/3]).

-define(TRIES, 10).

run(Seed, Connects, Targets) ->
    rand:seed(exsss, Seed),
    rounds(Connects, Targets, {0, 0, []}).

rounds(Connects, _, {Done, Retries, Wrong}) when Done =:= Connects; Wrong =/= [] ->
    [disconnect(Node) || Node <- nodes()],
    {Done, Retries, Wrong};
rounds(Connects, Targets, Sum) ->
    Target = lists:nth(rand:uniform(length(Targets)), Targets),
    case lists:member(Target, nodes()) of
        true ->
            disconnect(Target),
            rounds(Connects, Targets, Sum);
        false ->
            rounds(Connects, Targets, connect(Target, nodes(), ?TRIES, Sum))
    end.

connect(Target, _, 0, {Done, Retries, Wrong}) ->
    {Done + 1, Retries, [{unreachable, Target} | Wrong]};
connect(Target, Before, Tries, {Done, Retries, Wrong}) ->
    case net_kernel:connect_node(Target) of
        true ->
            {Done + 1, Retries, strangers(Target, Before) ++ Wrong};
        false ->
            connect(Target, Before, Tries - 1, {Done, Retries + 1, Wrong})
    end.

%% Who is there instead of the target, or besides it.
strangers(Target, Before) ->
    Nodes = lists:sort(nodes()),
    [{nodes, Target, Nodes} || Nodes =/= lists:sort([Target | Before])] ++
        case rpc:call(Target, erlang, node, [], 5000) of
            Target -> [];
            Other -> [{answer, Target, Other}]
        end.

disconnect(Node) ->
    true = monitor_node(Node, true),
    erlang:disconnect_node(Node),
    receive {nodedown, Node} -> ok end.
