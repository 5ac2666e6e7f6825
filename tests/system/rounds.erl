%% Connects a node with others and takes the connections down again, in a random order that a seed
%% repeats. Run inside an unmodified node: {Connects, Retries, Wrong}, where a retry is a connect_node
%% that answered false, and Wrong is what must never be; it ends with that.
-module(rounds).
-export([run/3, parallel/3, multicalls/2]).

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

%% Connects with all targets at once, in a random order, and takes the connections down again:
%% {Failed, Wrong}, where Wrong is what must never be.
parallel(Seed, Rounds, Targets) ->
    rand:seed(exsss, Seed),
    parallel(Rounds, Targets, 0, []).

parallel(Rounds, _, Failed, Wrong) when Rounds =:= 0; Wrong =/= [] ->
    {Failed, Wrong};
parallel(Rounds, Targets, Failed, Wrong) ->
    Order = [Target || {_, Target} <- lists:sort([{rand:uniform(), T} || T <- Targets])],
    Self = self(),
    [spawn_link(fun() -> Self ! {Target, net_kernel:connect_node(Target)} end) || Target <- Order],
    Results = [receive {Target, Result} -> {Target, Result} end || Target <- Order],
    Connected = [Target || {Target, true} <- Results],
    Strangers = [{nodes, nodes()} || lists:sort(nodes()) =/= lists:sort(Connected)],
    [disconnect(Node) || Node <- nodes()],
    parallel(Rounds - 1, Targets, Failed + length(Targets) - length(Connected), Strangers ++ Wrong).

%% rpc:multicall to targets that are not connected: how many of the answers were bad.
multicalls(Rounds, Targets) ->
    lists:sum([multicall(Targets) || _ <- lists:seq(1, Rounds)]).

multicall(Targets) ->
    {Answers, Bad} = rpc:multicall(Targets, erlang, node, [], 20000),
    true = lists:sort(Answers) =:= lists:sort(Targets -- Bad),
    [disconnect(Node) || Node <- nodes()],
    length(Bad).

disconnect(Node) ->
    true = monitor_node(Node, true),
    erlang:disconnect_node(Node),
    receive {nodedown, Node} -> ok end.
